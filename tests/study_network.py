"""The study's network, written from its text alone."""

from torch import Tensor, nn


class SimpleCNN(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_layer1 = self.block(1, 16)
        self.conv_layer2 = self.block(16, 32)
        self.conv_layer3 = self.block(32, 64)
        self.fc_layers = nn.Sequential(nn.Linear(16 * 16 * 64, 5), nn.ReLU())

    @staticmethod
    def block(ins: int, outs: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(in_channels=ins, out_channels=outs, kernel_size=3, padding=1),
            nn.BatchNorm2d(outs),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_layer3(self.conv_layer2(self.conv_layer1(x)))
        logits: Tensor = self.fc_layers(x.view(x.size(0), -1))
        return logits
