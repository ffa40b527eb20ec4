import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import { PortInUseError } from "../portInUse";

/** Channel options without a size limit, because a message may contain whole packages. */
export const unlimited = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

type Callback<Response> = (error: Partial<ServiceError> | null, response?: Response) => void;

/** Creates a handler for a unary call from a function. The function either returns the response or throws an error. */
export function unary<Request, Response>(answer: (request: Request) => Response | Promise<Response>) {
  return async ({ request }: { request: Request }, callback: Callback<Response>) => {
    try {
      callback(null, await answer(request));
    } catch (error) {
      callback({ code: status.UNKNOWN, details: reasonOf(error) });
    }
  };
}

/**
 * Serves the services on 127.0.0.1. Methods without an implementation fail with UNIMPLEMENTED.
 *
 * @param fixedPort 0 uses a free port
 * @throws PortInUseError
 */
export async function serveGrpc(services: [ServiceDefinition, UntypedServiceImplementation][], fixedPort = 0) {
  const server = new Server(unlimited);
  for (const [definition, implementation] of services) server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${fixedPort}`, ServerCredentials.createInsecure(), (error, bound) => {
      if (!error) return resolve(bound);
      reject(/EADDRINUSE/.test(error.message) ? new PortInUseError(fixedPort, "Pulumi provider") : error);
    }),
  );
  return { port, close: async () => server.forceShutdown() };
}

/** Message of a thrown value. For a gRPC error this is `details`, because its `message` starts with the status code. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return "details" in error && error.details ? String(error.details) : error.message;
  return String(error);
}
