/** Origin of a price table. */
export interface PriceSource {
  /** Product or service that has the prices. */
  of: string;
  /** Day on which the prices were noted, YYYY-MM-DD. */
  date: string;
  source: string;
}
