"""From a true action to the latent one: the only place that looks at recorded actions, and at a few of them only."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional


class ActionMap(nn.Module):
    """Softmax regression from a standardised action to the latent action's code.

    Where actions are one-hot it is a table of counts; where they are continuous its regions have straight borders. The labelled pairs
    are kept, `limit` of them at most, with the weights: nobody can have used more.
    """

    def __init__(self, action_size: int, num_actions: int, limit: int):
        super().__init__()
        self.logits = nn.Linear(action_size, num_actions)
        nn.init.zeros_(self.logits.weight)
        nn.init.zeros_(self.logits.bias)
        self.register_buffer("actions", torch.zeros(limit, action_size))
        self.register_buffer("codes", torch.zeros(limit, dtype=torch.long))
        self.register_buffer("count", torch.tensor(0))

    def forward(self, actions: Float[Tensor, "*lead a"]) -> Int[Tensor, "*lead"]:
        """The likeliest code."""
        return self.logits(actions).argmax(dim=-1)

    @torch.no_grad()
    def keep(self, actions: Float[Tensor, "n a"], codes: Int[Tensor, " n"]) -> None:
        """Take labelled pairs in, as long as there is room."""
        first = int(self.count)
        room = min(len(actions), len(self.actions) - first)
        self.actions[first : first + room], self.codes[first : first + room] = actions[:room], codes[:room]
        self.count += room

    def loss(self) -> Float[Tensor, ""]:
        """Of the pairs that were kept."""
        kept = slice(0, int(self.count))
        return functional.cross_entropy(self.logits(self.actions[kept]), self.codes[kept])
