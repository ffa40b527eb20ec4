/**
 * Breaks words that are wider than a column of a table, such as image names. Otherwise the table would truncate these
 * words.
 *
 * @param width width of the column in characters, with its padding
 */
export function breakable(text: string, width: number): string {
  const room = width - 2;
  return text.replace(new RegExp(`\\S{${room}}(?=\\S)`, "g"), "$&\n");
}
