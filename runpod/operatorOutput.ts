/** Pulumi shows the operator what its providers write to standard output. */
let output: (line: string) => void = (line) => console.log(line);

/** Sets for this process where the lines of `tellOperator` go. A command whose standard output is JSON needs another place. */
export function setOperatorOutput(next: (line: string) => void): void {
  output = next;
}

/** Shows the operator one line about RunPod's API: a long wait, or the end of an API. */
export function tellOperator(line: string): void {
  output(line);
}
