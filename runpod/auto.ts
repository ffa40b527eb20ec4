import type { ApiOptions, RunpodClient } from "./client";
import { RunpodError } from "./error";
import { graphqlClient } from "./graphql/graphqlClient";
import { tellOperator } from "./operatorOutput";
import { restClient } from "./rest/restClient";

/**
 * Client that uses GraphQL until RunPod shuts GraphQL down, and REST v2 afterwards. The client switches after a 410
 * Gone, or when the date in a `Sunset` header has passed. Both APIs return the same resources with the same ids, so
 * Pulumi recreates nothing. The client logs the announced end once, and the switch once.
 */
export function autoClient(options: ApiOptions): RunpodClient {
  const graphql = graphqlClient(options);
  const rest = restClient(options);
  let current = graphql;
  let isAnnounced = false;

  function move(reason: string): void {
    if (current === graphql)
      tellOperator(`RunPod has ended its GraphQL API (${reason}). The program now uses REST v2.`);
    current = rest;
  }

  async function noteSunset(): Promise<void> {
    const { endsAt } = await graphql.getControlPlane();
    if (endsAt === undefined) return;
    const date = endsAt.toISOString().slice(0, 10);
    if (endsAt.getTime() <= Date.now()) move(`it ended on ${date}`);
    else if (!isAnnounced) {
      tellOperator(`RunPod ends its GraphQL API on ${date}. The program then switches to REST v2.`);
    }
    isAnnounced = true;
  }

  /**
   * Runs a call with GraphQL, or with REST v2 if GraphQL is shut down. A 410 means that GraphQL did not execute the
   * call.
   */
  async function run<T>(call: (client: RunpodClient) => Promise<T>): Promise<T> {
    if (current === rest) return call(rest);
    try {
      const result = await call(graphql);
      await noteSunset();
      return result;
    } catch (error) {
      if (!(error instanceof RunpodError && error.isGone)) throw error;
      move("410 Gone");
      return call(rest);
    }
  }

  return {
    async getControlPlane() {
      // Makes an arbitrary call to learn whether GraphQL still works.
      await run((client) => client.getWorkerQuota()).catch(() => undefined);
      return current.getControlPlane();
    },
    getAccount: () => run((client) => client.getAccount()),
    getWorkerQuota: () => run((client) => client.getWorkerQuota()),
    findTemplateByName: (name) => run((client) => client.findTemplateByName(name)),
    getTemplate: (id) => run((client) => client.getTemplate(id)),
    saveTemplate: (settings, id) => run((client) => client.saveTemplate(settings, id)),
    deleteTemplate: (id) => run((client) => client.deleteTemplate(id)),
    listEndpoints: () => run((client) => client.listEndpoints()),
    getEndpoint: (id) => run((client) => client.getEndpoint(id)),
    getEndpointVersion: (id) => run((client) => client.getEndpointVersion(id)),
    saveEndpoint: (settings, id) => run((client) => client.saveEndpoint(settings, id)),
    scaleToZero: (endpoint) => run((client) => client.scaleToZero(endpoint)),
    deleteEndpoint: (id) => run((client) => client.deleteEndpoint(id)),
    listRegistryAuths: () => run((client) => client.listRegistryAuths()),
    createRegistryAuth: (settings) => run((client) => client.createRegistryAuth(settings)),
    updateRegistryAuth: (id, settings) => run((client) => client.updateRegistryAuth(id, settings)),
    deleteRegistryAuth: (id) => run((client) => client.deleteRegistryAuth(id)),
    listSecrets: () => run((client) => client.listSecrets()),
    createSecret: (settings) => run((client) => client.createSecret(settings)),
    updateSecret: (id, value) => run((client) => client.updateSecret(id, value)),
    deleteSecret: (id) => run((client) => client.deleteSecret(id)),
  };
}
