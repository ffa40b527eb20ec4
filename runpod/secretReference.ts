/**
 * Returns the reference to a secret for a template's environment. RunPod replaces the reference with the value when a
 * worker starts.
 */
export function secretReference(name: string): string {
  return `{{ RUNPOD_SECRET_${name} }}`;
}

/** Names of the secrets to which an environment refers. */
export function secretNamesIn(env: Record<string, string>): string[] {
  return Object.values(env).flatMap((value) =>
    [...value.matchAll(/\{\{\s*RUNPOD_SECRET_([\w.\-/]+)\s*\}\}/g)].map(([, name = ""]) => name),
  );
}
