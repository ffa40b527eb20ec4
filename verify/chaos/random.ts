/**
 * Numbers of the random streams. Each use has a separate stream, so that an additional draw in one use does not change
 * the numbers of another use.
 */
export const streams = {
  scenario: 1,
  outage: 2,
  delivery: 3,
  attempt: 4,
  visit: 5,
  reconciler: 6,
  creation: 7,
} as const;

/**
 * Small seeded random generator (sfc32, public domain, part of PractRand). The same keys give the same numbers.
 *
 * @param keys whole numbers, such as a seed, one of `streams` and an index
 */
export class Random {
  private a: number;
  private b: number;
  private c: number;
  private counter = 1;

  constructor(...keys: number[]) {
    this.a = keys.reduce((hash, key) => scramble(hash ^ key), 0x9e3779b9);
    this.b = scramble(this.a + 1);
    this.c = scramble(this.b + 1);
    for (let round = 0; round < 12; round += 1) this.next();
  }

  /** 0 ≤ x < 1. */
  next(): number {
    const sum = (this.a + this.b + this.counter) | 0;
    this.counter = (this.counter + 1) | 0;
    this.a = this.b ^ (this.b >>> 9);
    this.b = (this.c + (this.c << 3)) | 0;
    this.c = (((this.c << 21) | (this.c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }

  /** low ≤ x < high. */
  between(low: number, high: number): number {
    return low + this.next() * (high - low);
  }

  /** Whole number, low ≤ x ≤ high. */
  int(low: number, high: number): number {
    return Math.floor(this.between(low, high + 1));
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  /** @throws Error for an empty list */
  pick<T>(list: readonly T[]): T {
    const item = list[this.int(0, list.length - 1)];
    if (item === undefined) throw new Error("Cannot pick from an empty list");
    return item;
  }
}

/** Murmur's finalizer: each input bit affects every output bit. */
function scramble(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
