/** A part of a whole, such as the failed replies of all replies. */
export interface Part {
  of: number;
  count: number;
}

/**
 * Fisher's exact test, one-sided: the probability of at least `observed.count` if both parts have the same rate. The
 * test is exact for small counts. An approximation by the normal distribution would cause false alarms for such counts.
 */
export function fisherExact(observed: Part, baseline: Part): number {
  const total = observed.of + baseline.of;
  const hits = observed.count + baseline.count;
  const logAll = logChoose(total, observed.of);
  let probability = 0;
  for (let count = observed.count; count <= Math.min(hits, observed.of); count++) {
    probability += Math.exp(logChoose(hits, count) + logChoose(total - hits, observed.of - count) - logAll);
  }
  return Math.min(1, probability);
}

/** Result of `mannWhitney`. */
interface RankComparison {
  /** Probability that a value of the first histogram is above a value of the second one. Ties count as half. */
  above: number;
  /** Upper bound of the probability of this result, when both histograms have the same distribution. */
  probability: number;
}

/**
 * Mann-Whitney test, one-sided, of two histograms with the same bounds. It compares ranks. So a few very slow replies
 * neither hide nor cause a difference.
 */
export function mannWhitney(first: readonly number[], second: readonly number[]): RankComparison {
  const [n, m] = [sum(first), sum(second)];
  if (n === 0 || m === 0) return { above: 0.5, probability: 1 };
  let below = 0;
  let wins = 0;
  let ties = 0;
  for (const [index, count] of first.entries()) {
    const other = second[index] ?? 0;
    wins += count * (below + other / 2);
    below += other;
    ties += (count + other) ** 3 - (count + other);
  }
  const all = n + m;
  const variance = ((n * m) / 12) * (all + 1 - ties / (all * (all - 1)));
  const above = wins / (n * m);
  if (variance <= 0) return { above, probability: 1 };
  const z = (wins - (n * m) / 2) / Math.sqrt(variance);
  // exp(-z²/2) is an upper bound of the normal distribution's tail.
  return { above, probability: z <= 0 ? 1 : Math.exp(-(z ** 2) / 2) };
}

/** Sum of all numbers. */
export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Natural logarithm of the number of ways to choose `k` of `n`. */
function logChoose(n: number, k: number): number {
  return k < 0 || k > n ? Number.NEGATIVE_INFINITY : logFactorial(n) - logFactorial(k) - logFactorial(n - k);
}

const logFactorials = [0];

function logFactorial(n: number): number {
  for (let i = logFactorials.length; i <= n; i++) logFactorials.push((logFactorials[i - 1] ?? 0) + Math.log(i));
  return logFactorials[n] ?? 0;
}
