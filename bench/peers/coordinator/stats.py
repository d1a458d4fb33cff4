"""Order statistics over durations in nanoseconds."""


def percentile(ordered, share):
    """The value below which `share` of the ordered samples lie, interpolated between neighbours."""
    position = (len(ordered) - 1) * share
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


def median(samples):
    return percentile(sorted(samples), 0.5)


def summary(samples):
    """Count, minimum, median, p5, p95 and p99."""
    ordered = sorted(samples)
    shares = {'p5': 0.05, 'median': 0.5, 'p95': 0.95, 'p99': 0.99}
    return {'count': len(ordered), 'min': ordered[0], **{name: percentile(ordered, share) for name, share in shares.items()}}
