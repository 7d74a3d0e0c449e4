"""The card of the world that comes with the package: what it is, what it can and cannot do, in Hugging Face's form."""

from collections.abc import Mapping, Sequence

from benchmarks.rows import table


def card(rows: Sequence[Mapping], numbers: int) -> str:
    """The card as Markdown with YAML front matter. `rows` are what was measured of these very weights, which are so many `numbers`."""
    return f"""---
library_name: armillary
tags: [armillary, vmc, world-model]
license: apache-2.0
---
# platformer-dream, trained by Armillary
A learned world small enough to come with the package: `armillary play` opens it, beside the simulator that it learned from.

| | |
|---|---|
| family | [V-M-C](../../worlds/vmc/README.md), one member, {numbers / 1e6:.1f} million numbers, kept in half precision |
| trained on | the small world `platformer`: 32 levels of one picture, 6 recordings of 96 steps each, 15 steps a second |
| licence of data and weights | Apache-2.0; no person, place or recording of others is in it |
| intended use | to see within seconds what a world model is; tests and demonstrations |
| out-of-scope use | anything else: it knows one game, one theme, one size of picture (64 x 64), and levels that fill one picture |
| known limits | it sees only where it begins: its figure drifts from the simulator's, and what it is unsure of is blurred |
| risks | none known; it draws a cartoon figure in a landscape |

## Results
Held-out levels (8 of the 40 that there are), random held keys, 16 dreams each; one seed, the one that is bundled.
```
{table(rows)}
```
`obeys` is the PSNR with the keys that were pressed minus that with other keys: 0 would say that it ignores them. The last true picture
is near wherever little moved: most of a picture is background.

## Make it again
```
python -m recipes.bundled_world --seeds 1 --bundle
```
The recipe overwrites `config.json`, `model.safetensors` and this card.
"""
