/** Names of a pool's cookies. A browser sends cookies of localhost to every port, so they carry the pool's id. */
export const cookieNames = {
  session: (poolId: string) => `cognito.${poolId}`,
  interaction: (poolId: string) => `cognito.${poolId}.login`,
  resume: (poolId: string) => `cognito.${poolId}.resume`,
};

/** The pool named by the cookie of a sign-in that goes on. The browser sends it to that sign-in's own path only. */
export function poolOfResumeCookie(cookies: string | undefined): string | undefined {
  return /(?:^|;\s*)cognito\.([^.=;]+)\.resume=/.exec(cookies ?? "")?.[1];
}
