/** Pulumi shows the operator what its providers write to standard output. */
let output: (line: string) => void = (line) => console.log(line);

/**
 * Sets the function that prints the lines of `tellOperator` in this process. A command that prints JSON to standard
 * output must print these lines elsewhere.
 */
export function setOperatorOutput(next: (line: string) => void): void {
  output = next;
}

/** Shows the operator one line about RunPod's API: a long wait, or the end of an API. */
export function tellOperator(line: string): void {
  output(line);
}
