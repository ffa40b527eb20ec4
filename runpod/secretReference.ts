/** Text that RunPod replaces by a secret's value in the environment of a worker that starts. */
export function secretReference(name: string): string {
  return `{{ RUNPOD_SECRET_${name} }}`;
}

/** Names of the secrets to which an environment refers. */
export function secretNamesIn(env: Record<string, string>): string[] {
  return Object.values(env).flatMap((value) =>
    [...value.matchAll(/\{\{\s*RUNPOD_SECRET_([\w.\-/]+)\s*\}\}/g)].map(([, name = ""]) => name),
  );
}
