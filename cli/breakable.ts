/**
 * Breaks words that are wider than a table's column, such as image names. The table would cut them.
 *
 * @param width width of the column in characters, with its padding
 */
export function breakable(text: string, width: number): string {
  const room = width - 2;
  return text.replace(new RegExp(`\\S{${room}}(?=\\S)`, "g"), "$&\n");
}
