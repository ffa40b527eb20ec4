import type { Adapter } from "oidc-provider";
import type { Directory } from "./directory";

/** Provides the pool's current app clients to the OIDC server. */
export function clientAdapter(directory: Directory, poolId: string): Adapter {
  const readOnly = async () => {};
  return {
    find: async (id) => {
      const client = directory.client(id);
      if (client?.poolId !== poolId) return undefined;
      return {
        client_id: id,
        ...(client.secret
          ? { client_secret: client.secret, token_endpoint_auth_method: "client_secret_basic" }
          : { token_endpoint_auth_method: "none" }),
        redirect_uris: client.callbackUrls,
        response_types: client.codeFlow ? ["code"] : [],
        grant_types: client.codeFlow ? ["authorization_code", "refresh_token"] : [],
      };
    },
    upsert: readOnly,
    consume: readOnly,
    destroy: readOnly,
    revokeByGrantId: readOnly,
    findByUid: readOnly,
    findByUserCode: readOnly,
  };
}
