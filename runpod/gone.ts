/** What to throw when a resource that is to be changed is not there any more. */
export function gone(what: string, id: string): Error {
  return new Error(`${what} ${id} is gone from RunPod. Run "pulumi refresh", then "pulumi up" makes it again.`);
}
