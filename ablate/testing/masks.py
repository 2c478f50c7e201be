"""The contract of a strategy's masks: how often they drop, who shares a decision, and who does not.

The masks are those that the engine draws. Statistics are of seeded draws, hence constants: within
five standard errors, which one honest mask in two million would miss.
"""

import torch
from torch import Tensor

from ablate.drops import Fill
from ablate.edges import layers_of
from ablate.noise import BERNOULLI
from ablate.testing.points import OfAStrategy
from ablate.testing.sampling import DropAt, allowed


class MasksContract(OfAStrategy):
    """What is drawn at each edge of the default placement and of a few others."""

    def sites(self) -> list[DropAt]:
        """Each unequal drop at each of its edges, at one layer, or at all whose rates differ."""
        depth = max(self.layers)
        found = (
            DropAt(drop, edge, layer, index)
            for placement in self.few_placements()
            for edge, drop in placement.within(depth).items()
            for index, layer in enumerate(layers_of(edge, depth))
            if drop.rate_of(index) and (index == 0 or isinstance(drop.rate, tuple))
        )
        return list(dict.fromkeys(found))

    def test_masks_keep_their_stated_mean_and_variance(self) -> None:
        """Over thousands of decisions, none counted twice, both lie within standard errors."""
        for site in self.sites():
            parts = [site.sample(seed=seed).firsts().flatten() for seed in site.seeds()]
            values = torch.cat(parts)
            verb = "take the new value" if site.drop.fill is Fill.HOLD else "multiply by"
            told = f"masks of {site} {verb} {{:.6g}} on average, stated is {site.mean:.6g}"
            _assert_mean(values, site.mean, site.variance, told)
            if site.drop.noise == BERNOULLI:
                found = values.unique().tolist()
                assert set(found) <= {0.0, site.kept}, (
                    f"a mask of {site} is 0 or {site.kept}, got {found}"
                )
                continue
            squares = (values - site.mean) ** 2
            told = f"masks of {site} have the variance {{:.6g}}, stated is {site.variance:.6g}"
            _assert_mean(squares, site.variance, squares.var().item(), told)

    def test_masks_are_constant_where_a_decision_is_shared(self) -> None:
        """Time, batch, words, sources, units, gates and updates share as far as stated."""
        for site in self.sites():
            drawn = site.sample()
            assert torch.equal(drawn.values, drawn.shared()), (
                f"masks of {site} differ where one decision is shared"
            )
            last = 2 * (site.updates or 10) - 1
            assert torch.equal(drawn.values, site.sample(update=last).values), (
                f"masks of {site} differ between updates that share"
            )

    def test_masks_differ_where_none_is_shared(self) -> None:
        """Neighbouring decisions along every axis, and of two updates, do not correlate."""
        for site in self.sites():
            samples = [site.sample(seed=seed) for seed in site.seeds()]
            values = torch.stack([each.firsts() for each in samples], dim=-1) - site.mean
            for dim, axis in enumerate(samples[0].decisions):
                count = values.shape[dim] - 1
                if count:
                    below, above = values.narrow(dim, 0, count), values.narrow(dim, 1, count)
                    _assert_uncorrelated(site, axis, below * above)
            if site.updates:
                update = 2 * site.updates
                samples = [site.sample(seed=seed, update=update) for seed in site.seeds()]
                later = torch.stack([each.firsts() for each in samples], dim=-1) - site.mean
                _assert_uncorrelated(site, "update", values * later)

    def test_masks_are_nested_in_the_rate(self) -> None:
        """What Bernoulli keeps at a rate it keeps at half of it: sweeps compare like with like."""
        for site in self.sites():
            if site.drop.noise == BERNOULLI:
                low, high = (each.sample().values > 0 for each in (site.at(site.rate / 2), site))
                assert not (high & ~low).any(), f"half the rate of {site} drops what it kept"


def _assert_mean(values: Tensor, expected: float, variance: float, told: str) -> None:
    found = values.mean().item()
    off = abs(found - expected)
    most = allowed(expected, variance, (values - expected).abs().max().item(), len(values))
    assert off <= most, f"{told.format(found)}: off by {off:.1e}, and chance explains {most:.1e}"


def _assert_uncorrelated(site: DropAt, axis: str, products: Tensor) -> None:
    off = abs(products.mean().item()) / site.variance
    most = allowed(0.0, 1.0, products.abs().max().item() / site.variance, products.numel())
    assert off <= most, (
        f"masks of {site} that are apart along {axis} decide alike: they correlate by {off:.3f}, "
        f"and chance explains {most:.3f}"
    )
