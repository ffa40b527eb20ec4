import { ClientError, GraphQLClient, gql } from "graphql-request";
import { z } from "zod";
import { type Call, failedCall, parseResponse } from "../call";
import { type ApiOptions, USER_AGENT } from "../client";
import { isNotFound, noResponseError, RunpodError, refusedKey } from "../error";
import { isTransientStatus, parseRetryAfter, retryTransient } from "../retry";

// Error texts after which RunPod's own SDK retries a call.
const TRANSIENT =
  /try again later|internal server error|service unavailable|too many requests|temporarily unavailable/i;

/** A GraphQL operation. `secrets` must contain the secret values of the variables. */
interface GraphqlCall<T> extends Call<T> {
  document: string;
  variables?: object;
}

/** Sends operations to RunPod's GraphQL API. Every method throws `RunpodError`. */
export interface GraphqlRequests {
  /** Sends an operation once. */
  send<T>(call: GraphqlCall<T>): Promise<T>;
  /** Sends an operation that is safe to repeat, with retries. */
  sendRepeatable<T>(call: GraphqlCall<T>): Promise<T>;
  /** Sends a delete once. Also succeeds when the resource does not exist. */
  remove(call: Omit<GraphqlCall<unknown>, "response">): Promise<void>;
  /** Reads fields of `myself`, the only query in the published schema. */
  queryMyself<T extends object>(operation: string, fields: string, record: z.ZodType<T>): Promise<T>;
  /**
   * Date when RunPod shuts the API down. Undefined before the first response, or if RunPod has not announced a date.
   */
  endsAt(): Date | undefined;
}

/** Connects to RunPod's GraphQL API. */
export function graphqlRequests({ apiKey, url, timeoutMs = 30_000 }: ApiOptions): GraphqlRequests {
  let endsAt: Date | undefined;
  const http = new GraphQLClient(`${url.replace(/\/+$/, "")}/graphql`, {
    headers: { authorization: `Bearer ${apiKey}`, "user-agent": USER_AGENT },
    // Following a redirect would send the API key and a registry's password to another host.
    redirect: "error",
    responseMiddleware(received) {
      const { headers } =
        received instanceof ClientError ? received.response : received instanceof Error ? {} : received;
      const sunset = headers instanceof Headers ? Date.parse(headers.get("sunset") ?? "") : Number.NaN;
      if (!Number.isNaN(sunset)) endsAt = new Date(sunset);
    },
  });

  async function send<T>(call: GraphqlCall<T>): Promise<T> {
    const { operation, document, variables = {}, secrets = [] } = call;
    let data: unknown;
    try {
      data = await http.request({ document, variables: { ...variables }, signal: AbortSignal.timeout(timeoutMs) });
    } catch (error) {
      if (error instanceof ClientError) throw refusal(operation, error, [apiKey, ...secrets]);
      const isTimeout = error instanceof Error && error.name === "TimeoutError";
      throw noResponseError({ operation, apiKey, timeoutMs }, isTimeout ? "timeout" : error);
    }
    return parseResponse(call, data);
  }

  function sendRepeatable<T>(call: GraphqlCall<T>): Promise<T> {
    return retryTransient(() => send(call));
  }

  return {
    send,
    sendRepeatable,

    async remove(call) {
      try {
        await send({ ...call, response: z.unknown() });
      } catch (error) {
        if (!isNotFound(error)) throw error;
      }
    },

    async queryMyself<T extends object>(operation: string, fields: string, record: z.ZodType<T>) {
      const response = z.object({ myself: record.nullable() });
      const { myself } = await sendRepeatable({
        operation,
        document: gql`query { myself { ${fields} } }`,
        response,
        isRepeatedWhenInvalid: true,
      });
      // RunPod answers an unknown key with 200 and `null`. If `null` counted as an empty account, all resources would
      // look deleted.
      if (myself === null) throw refusedKey(operation, "is not valid");
      return myself;
    },

    endsAt: () => endsAt,
  };
}

/**
 * Creates the error for a response that contains errors. The message of graphql-request is not usable, because it
 * contains every variable.
 */
function refusal(operation: string, { response }: ClientError, secrets: string[]): RunpodError {
  const { status, errors, headers } = response;
  const reason = errors?.map(({ message }) => withoutValue(message)).join("; ") || `HTTP ${status}`;
  if (status === 401 || /^unauthorized$/i.test(reason)) {
    return refusedKey(operation, "is not valid or lacks the permission");
  }
  if (status === 410) {
    const message = `RunPod refused ${operation}: it has ended its GraphQL API (410 Gone). Set runpodApi to auto or rest.`;
    return new RunpodError(message, { transient: false, isGone: true });
  }
  const retryAfterMs = headers instanceof Headers ? parseRetryAfter(headers.get("retry-after")) : undefined;
  const transient = isTransientStatus(status) || TRANSIENT.test(reason);
  return failedCall({ operation, status, reason, retryAfterMs, transient }, secrets);
}

/**
 * Removes the value from GraphQL's message about an invalid variable, because the value may be a secret. Keeps the name
 * of the field, which follows the value.
 */
function withoutValue(message: string): string {
  return message.replace(/(got invalid value)(.*)/s, (_, start: string, rest: string) => {
    const field = /.*(?: at "input\.|Field ")(\w+)"/s.exec(rest)?.[1];
    return field === undefined ? start : `${start} in the field ${field}`;
  });
}
