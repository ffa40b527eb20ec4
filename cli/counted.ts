/** A number with its noun in the right form, such as `1 alarm` or `1,000 alarms`. */
export function counted(number: number, noun: string, plural = `${noun}s`): string {
  return `${Math.round(number).toLocaleString("en")} ${Math.round(number) === 1 ? noun : plural}`;
}
