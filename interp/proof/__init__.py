"""Proof: a run is made again from its manifest and compared; a lone picture is traced to its run."""
