/** Cookie names of a pool. They contain the pool's id, because a browser sends localhost cookies to every port. */
export const cookieNames = {
  session: (poolId: string) => `cognito.${poolId}`,
  interaction: (poolId: string) => `cognito.${poolId}.login`,
  resume: (poolId: string) => `cognito.${poolId}.resume`,
};

/**
 * Reads the pool's id from the cookie of a pending sign-in. The browser sends this cookie only to that sign-in's path.
 */
export function poolOfResumeCookie(cookies: string | undefined): string | undefined {
  return /(?:^|;\s*)cognito\.([^.=;]+)\.resume=/.exec(cookies ?? "")?.[1];
}
