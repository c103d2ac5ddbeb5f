"""Which networks the matrix has: every torchvision classifier, and one small member of each timm family."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torchvision import models

_MODELS: Any = models

# Families of timm, each by a member that is small, at the size that its makers chose.
TIMM = tuple(
    """
    bat_resnext26ts beit_base_patch16_224 botnet26t_256 cait_xxs24_224 caformer_s18 coat_lite_tiny coat_tiny coatnet_0_rw_224
    convformer_s18 convit_tiny convmixer_768_32 convnext_atto convnextv2_atto crossvit_9_240 cspdarknet53 cspresnet50 darknet53
    davit_tiny deit3_small_patch16_224 deit_tiny_distilled_patch16_224 densenet121 dla34 dpn68 eca_nfnet_l0 edgenext_xx_small
    efficientformer_l1 efficientformerv2_s0 efficientnet_b0 efficientnetv2_rw_t efficientvim_m1 efficientvit_b0 efficientvit_m0
    ese_vovnet19b_dw eva02_tiny_patch14_336 fasternet_t0 fastvit_t8 fbnetv3_b flexivit_small focalnet_tiny_srf gcresnet33ts
    gcvit_xxtiny gernet_s ghostnet_050 gmlp_ti16_224 halonet26t hardcorenas_a hgnetv2_b0 hiera_tiny_224 hrnet_w18_small iformer_m
    inception_next_atto inception_resnet_v2 inception_v4 lambda_resnet26t lcnet_050 legacy_seresnet18 levit_128s levit_conv_128s
    lowformer_b0 mambaout_femto maxvit_nano_rw_256 maxxvit_rmlp_nano_rw_256 mixer_s32_224 mixnet_s mobilenetv3_small_050
    mobilenetv4_conv_small mobileone_s0 mobilevit_xxs mobilevitv2_050 mvitv2_small naflexvit_base_patch16_gap nest_tiny nextvit_small
    nf_resnet50 pit_ti_224 poolformer_s12 pvt_v2_b0 rdnet_tiny regnetx_002 regnety_002 regnetz_005 repghostnet_050 repvgg_a0 repvit_m1
    res2net50_26w_4s resmlp_12_224 resnest14d resnetv2_50 resnext26ts rexnet_100 samvit_base_patch16_224 selecsls42 sequencer2d_s
    seresnet18 shvit_s1 skresnet18 starnet_s1 swiftformer_xs swin_tiny_patch4_window7_224 swinv2_cr_tiny_224 swinv2_tiny_window8_256
    tiny_vit_5m_224 tnt_s_patch16_224 tresnet_m twins_pcpvt_small twins_svt_small vgg11 visformer_tiny vit_relpos_small_patch16_224
    vit_tiny_patch16_224 vit_tiny_r_s16_p8_224 vitamin_small_224 volo_d1_224 xception41 xcit_nano_12_p16_224
    """.split()  # noqa: SIM905 - a hundred lines otherwise
)


def references(patterns: Sequence[str] = ("*",)) -> list[str]:
    """References of the matrix's networks that match one of the globs, torchvision's first; ``@FILE`` lists some, in its order."""
    names = [*_MODELS.list_models(module=models), *(f"timm/{name}" for name in TIMM)]
    found: list[str] = []
    for pattern in patterns:
        if pattern.startswith("@"):
            found += Path(pattern[1:]).read_text(encoding="utf-8").split()
        else:
            found += [name for name in names if fnmatchcase(name, pattern)]
    return list(dict.fromkeys(found))
