import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

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

/** Serves the services on a free port of 127.0.0.1. Methods without an implementation fail with UNIMPLEMENTED. */
export async function serveGrpc(services: [ServiceDefinition, UntypedServiceImplementation][]) {
  const server = new Server(unlimited);
  for (const [definition, implementation] of services) server.addService(definition, implementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  );
  return { port, close: async () => server.forceShutdown() };
}

/** Message of a thrown value. For a gRPC error these are its details, because its message starts with the status code. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return "details" in error && error.details ? String(error.details) : error.message;
  return String(error);
}
