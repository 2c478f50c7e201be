"""The moderated t test keeps its promises where placements spread unequally: by simulation."""

import numpy as np
import pytest
from scipy import special

from ablate.report.moderation import Prior, inverse_trigamma, moderated, prior_of
from ablate.report.statistics import holm, two_sided

DRAWS = 4_000

#: Standard deviations of the placements' trials over seeds, and of the baseline's.
SCENARIOS = {
    "equal": ((), 1.0),
    "three placements at three times": ((3.0, 3.0, 3.0), 1.0),
    "those, and a baseline at half": ((3.0, 3.0, 3.0), 0.5),
    "a baseline at three times": ((), 3.0),
}

HARDEST = "those, and a baseline at half"


def smyth(variances, freedom):
    """The moderated t test of the paper, without our two departures."""
    prior = prior_of(variances, freedom)
    weight = 1.0 if np.isinf(prior.freedom) else prior.freedom / (prior.freedom + freedom)
    pooled = freedom + min(prior.freedom, 1e9)
    return weight * prior.scale + (1 - weight) * variances, pooled


def pooled(variances, freedom):
    """One variance for all."""
    return np.full_like(variances, variances.mean()), np.full_like(freedom, freedom.sum())


def simulate(scenario: str, placements: int, seeds: int, test=moderated):
    """Family-wise error after Holm, and each placement's coverage, where no placement differs."""
    wide, baseline = SCENARIOS[scenario]
    rng = np.random.default_rng([placements, seeds])
    scale = np.ones(placements)
    scale[: min(len(wide), placements // 2)] = wide[: min(len(wide), placements // 2)]
    trials = rng.standard_normal((DRAWS, placements, seeds)) * scale[:, None]
    differences = trials - baseline * rng.standard_normal((DRAWS, 1, seeds))
    freedom = np.full(placements, seeds - 1.0)
    wrong, covered = 0, np.zeros(placements)
    for means, variances in zip(
        differences.mean(axis=2), differences.var(axis=2, ddof=1), strict=True
    ):
        variance, degrees = test(variances, freedom)
        p = two_sided(means, np.sqrt(variance / seeds), degrees)
        wrong += bool((holm(p) < 0.05).any())
        covered += p >= 0.05
    return wrong / DRAWS, covered / DRAWS


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize(
    ("scenario", "placements"),
    [*((name, 13) for name in SCENARIOS), *((HARDEST, few) for few in (2, 5))],
)
def test_error_and_coverage(scenario: str, placements: int, seeds: int):
    """Family-wise error at most .06, mean coverage at least .93; the worst placement is printed."""
    error, coverage = simulate(scenario, placements, seeds)
    print(
        f"{scenario}, {placements} placements, {seeds} seeds: family-wise error {error:.3f}, "
        f"coverage {coverage.mean():.3f}, of the worst placement {coverage.min():.3f}"
    )
    assert error <= 0.06
    assert coverage.mean() >= 0.93
    assert coverage.min() >= 0.88


def test_the_paper_s_own_test_does_not_hold():
    """Differences share the baseline's variance: it finds what is not there, and we depart."""
    error, coverage = simulate(HARDEST, 13, 3, smyth)
    assert error > 0.12
    _, coverage = simulate("a baseline at three times", 13, 3, smyth)
    assert coverage.mean() < 0.9


def test_pooling_all_variances_does_not_hold():
    """Where three placements spread three times as wide, one variance is too small for them."""
    error, _ = simulate(HARDEST, 13, 3, pooled)
    assert error > 0.2


def test_the_prior_is_found_again():
    """20,000 variances drawn with d0 = 6 and s0^2 = 2 give both back."""
    rng = np.random.default_rng(1)
    truth = 2.0 * 6 / rng.chisquare(6, 20_000)
    found = prior_of(truth * rng.chisquare(4, 20_000) / 4, np.full(20_000, 4.0))
    assert found.freedom == pytest.approx(6, rel=0.05)
    assert found.scale == pytest.approx(2, rel=0.02)


def test_variances_that_differ_by_chance_alone_are_pooled():
    """Four equal variances have an infinite prior: theirs, at three times the freedom but a cap."""
    variances, freedom = moderated(np.full(4, 2.5), np.full(4, 2.0))
    # The bias of a log variance of two degrees is exp(Euler's constant): a little above the mean.
    assert variances == pytest.approx(np.full(4, 2.5 * np.exp(np.euler_gamma)))
    assert freedom.tolist() == [3.5] * 4


def test_a_variance_is_never_below_its_own():
    """One that is far above the others keeps its size."""
    own = np.array([100.0, 1.0, 1.1, 0.9, 1.2])
    variances, freedom = moderated(own, np.full(5, 2.0))
    assert variances[0] == 100.0
    assert (variances >= own).all()
    assert (freedom > 2).all()


def test_one_variance_stays_what_it_is():
    """Alone, or beside exact zeros, a variance has no family."""
    for own in ([3.0], [3.0, 0.0, 0.0], []):
        variances, freedom = moderated(np.array(own), np.full(len(own), 2.0))
        assert variances.tolist() == own
        assert freedom.tolist() == [2.0] * len(own)
    assert prior_of(np.array([3.0]), np.array([2.0])).freedom == 0


def test_a_difference_of_zero_variance_stays_out_of_the_family():
    """It tells nothing of the others, and they nothing of it."""
    own = np.array([2.0, 1.0, 3.0])
    alone = moderated(own, np.full(3, 2.0))
    beside = moderated(np.append(own, 0.0), np.full(4, 2.0))
    assert beside[0].tolist() == [*alone[0], 0.0]
    assert beside[1].tolist() == [*alone[1], 2.0]


def test_units_do_not_matter():
    """Differences in another unit have variances in its square."""
    own, freedom = np.array([2.0, 1.0, 3.0, 40.0]), np.array([2.0, 2.0, 1.0, 4.0])
    variances, degrees = moderated(own, freedom)
    scaled, same = moderated(100 * own, freedom)
    assert scaled == pytest.approx(100 * variances)
    assert same == pytest.approx(degrees)


@pytest.mark.parametrize("y", [1e-5, 0.01, 0.5, 1.0, 7.0, 1e3, 1e7])
def test_inverse_trigamma(y: float):
    """It undoes scipy's trigamma over twelve orders of magnitude."""
    assert inverse_trigamma(float(special.polygamma(1, y))) == pytest.approx(y, rel=1e-6)


def test_a_prior_that_says_nothing():
    """No variance, no prior."""
    assert prior_of(np.array([]), np.array([])).freedom == Prior(0.0, 0.0).freedom
