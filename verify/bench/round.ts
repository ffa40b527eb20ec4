/** Rounds to the given number of decimals. */
export function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}
