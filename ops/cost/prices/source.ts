/** Origin of a price table. */
export interface PriceSource {
  /** What the prices are for. */
  of: string;
  /** Day on which the prices were noted, YYYY-MM-DD. */
  date: string;
  source: string;
}
