"""torchvision's MobileNetV2 with softmax, at any width. Trap: ReLU6, and none behind a block."""

import torch
from torch import nn

from .random_init import disturb_batch_norms, he_init

GROUPS = [  # expand, channels, blocks, stride of the first
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
]


def rounded(channels):
    """To a multiple of 8, and not more than a tenth down."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def unit(cin, cout, kernel=1, stride=1, groups=1):
    conv = nn.Conv2d(cin, cout, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(cout), nn.ReLU6())


class Block(nn.Module):
    def __init__(self, cin, cout, stride, expand):
        super().__init__()
        wide = cin * expand
        layers = [unit(cin, wide)] if expand > 1 else []
        layers += [unit(wide, wide, 3, stride, wide)]
        layers += [nn.Conv2d(wide, cout, 1, bias=False), nn.BatchNorm2d(cout)]
        self.conv = nn.Sequential(*layers)
        self.residual = stride == 1 and cin == cout

    def forward(self, x):
        return x + self.conv(x) if self.residual else self.conv(x)


class MobileNetV2(nn.Module):
    def __init__(self, width=1.0, classes=1000):
        super().__init__()
        channels = rounded(32 * width)
        features = [unit(3, channels, 3, 2)]
        for expand, out, blocks, stride in GROUPS:
            for index in range(blocks):
                cin, channels = channels, rounded(out * width)
                features.append(Block(cin, channels, 1 if index else stride, expand))
        last = rounded(1280 * max(1.0, width))
        features.append(unit(channels, last))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(last, classes))

    def logits(self, x):
        return self.classifier(self.features(x).mean((2, 3)))

    def forward(self, x):
        return torch.softmax(self.logits(x), 1)


def random_mobilenetv2(width=1.0, classes=1000, seed=1):
    g = torch.Generator().manual_seed(seed)
    model = MobileNetV2(width, classes)
    he_init(model, g)
    disturb_batch_norms(model, lambda: model(random_image(8, 64, 64, seed)), g)
    with torch.no_grad():  # probabilities neither all alike nor all of one class
        model.classifier[1].weight.normal_(0, 0.1, generator=g)
        model.classifier[1].bias.normal_(0, 0.5, generator=g)
    return model.eval()


def loaded(path):
    state = torch.load(path, map_location="cpu", weights_only=True)
    model = MobileNetV2()
    model.load_state_dict(state)
    return model.eval()


def random_image(batch, height, width, seed):
    g = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 3, height, width, generator=g)
