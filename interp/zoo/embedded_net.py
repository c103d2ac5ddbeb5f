"""The architecture of the embedded network: a plain stack of conv-BN-ReLU whose every layer can be read."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

STEM_CHANNELS = 32
STAGES = ((48, 48), (96, 96), (192, 192), (384, 384))


class ConvBlock(nn.Module):
    """conv -> BatchNorm -> ReLU, each step a module of its own so that each can be looked at."""

    def __init__(self, inputs: int, outputs: int, kernel_size: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel_size, stride, kernel_size // 2, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.relu(self.bn(self.conv(x)))
        return output


class EmbeddedNet(nn.Module):
    """Nine convolutions, the first 7x7 with stride 2; global mean and one Linear, so any input size works.

    Input: (N, 3, H, W), normalized, H and W at least 16 px. Output: (N, classes) logits.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.stem = ConvBlock(3, STEM_CHANNELS, kernel_size=7, stride=2)
        inputs = STEM_CHANNELS
        for number, widths in enumerate(STAGES, start=1):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            for index, width in enumerate(widths, start=1):
                layers[f"block{index}"] = ConvBlock(inputs, width)
                inputs = width
            if number < len(STAGES):
                layers["pool"] = nn.MaxPool2d(2)
            self.add_module(f"stage{number}", nn.Sequential(layers))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for number in range(1, len(STAGES) + 1):
            x = self.get_submodule(f"stage{number}")(x)
        features: Tensor = self.fc(self.pool(x).flatten(1))
        return features
