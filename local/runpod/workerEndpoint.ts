const TIMEOUT_MS = 30_000;

/**
 * Creates an endpoint with one worker in the account of the RunPod double.
 *
 * @param runpod URL of the double's GraphQL API, and a key of the account
 * @param variables environment of the worker's template
 * @returns the endpoint's id
 * @throws Error with the double's reason
 */
export async function createWorkerEndpoint(
  runpod: { graphqlUrl: string; key: string },
  variables: Record<string, string>,
): Promise<string> {
  const templateId = await save(
    runpod,
    "saveTemplate",
    "mutation ($input: SaveTemplateInput) { saveTemplate(input: $input) { id } }",
    {
      name: "worker",
      imageName: "localhost/image:worker",
      containerDiskInGb: 20,
      volumeInGb: 0,
      dockerArgs: "",
      env: Object.entries(variables).map(([key, value]) => ({ key, value })),
      isServerless: true,
    },
  );
  return save(runpod, "saveEndpoint", "mutation ($input: EndpointInput!) { saveEndpoint(input: $input) { id } }", {
    name: "worker",
    templateId,
    gpuIds: "AMPERE_16",
    workersMax: 1,
    idleTimeout: 3_600,
  });
}

async function save(
  { graphqlUrl, key }: { graphqlUrl: string; key: string },
  mutation: string,
  query: string,
  input: object,
): Promise<string> {
  const response = await fetch(graphqlUrl, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ query, variables: { input } }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  const { data, errors } = (await response.json()) as { data?: Record<string, { id: string }>; errors?: unknown };
  const id = data?.[mutation]?.id;
  if (!id) throw new Error(`${mutation}: ${JSON.stringify(errors)}`);
  return id;
}
