"""The LSTM classifier at any size. Trap: the linear layer reads both directions' last step."""

import torch
from torch import nn


class Classifier(nn.Module):
    def __init__(self, inputs=1, hidden=50, layers=1, both=False, classes=3, bias=True):
        super().__init__()
        self.lstm = nn.LSTM(inputs, hidden, layers, bias, batch_first=True, bidirectional=both)
        self.fc = nn.Linear(hidden * (2 if both else 1), classes)

    def forward(self, x, state=None):
        y, (h, c) = self.lstm(x, state)
        return self.fc(y[:, -1]), h.transpose(0, 1), c.transpose(0, 1)


def random_classifier(seed=1, **sizes):
    """Weights twice as large as torch's own, so that gates close and open."""
    torch.manual_seed(seed)
    model = Classifier(**sizes)
    with torch.no_grad():
        for value in model.parameters():
            value.mul_(2)
    return model.eval()


def random_inputs(batch, steps, inputs, seed):
    """Numbers from 0 to 10, as the network was trained on."""
    g = torch.Generator().manual_seed(seed)
    return torch.rand(batch, steps, inputs, generator=g) * 10
