"""What a latent says of the robot's own state: a linear reading that learns with the encoder and the predictor."""

from jaxtyping import Float
from torch import Tensor, nn

from armillary.core import ConfigError
from armillary.data.shape import DataShape
from armillary.nn.state_scale import StateScale

LEAST_DEVIATION = 0.1  # of the largest: what hardly ever moves must not weigh as much as what does


class StateReading(nn.Module):
    """A linear function from latents to robot states. ConfigError where the recordings hold no state."""

    def __init__(self, *, latent_size: int, shape: DataShape):
        super().__init__()
        if not shape.state_size:
            raise ConfigError("model.state_weight needs recordings of a robot's state, and these hold none; set model.state_weight 0")
        least = LEAST_DEVIATION * max(shape.state_std)
        self.scale = StateScale(shape.state_mean, [max(std, least) for std in shape.state_std])
        self.linear = nn.Linear(latent_size, shape.state_size)

    def forward(self, latents: Float[Tensor, "*lead d"]) -> Float[Tensor, "*lead s"]:
        """States in the data's units."""
        return self.scale.restore(self.linear(latents))

    def loss(self, latents: Float[Tensor, "b t d"], states: Float[Tensor, "b t s"]) -> Float[Tensor, ""]:
        """The mean squared error, each number in units of its deviation in the training data."""
        return (self.linear(latents) - self.scale(states)).square().mean()
