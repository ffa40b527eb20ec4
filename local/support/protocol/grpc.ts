import {
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";

/** For clients and servers: a message carries whole packages, so it may be of any length. */
export const unlimited = { "grpc.max_receive_message_length": -1, "grpc.max_send_message_length": -1 };

type Callback<Response> = (error: Partial<ServiceError> | null, response?: Response) => void;

/** A handler for a unary call, made of a function that answers or throws. */
export function unary<Request, Response>(answer: (request: Request) => Response | Promise<Response>) {
  return async ({ request }: { request: Request }, callback: Callback<Response>) => {
    try {
      callback(null, await answer(request));
    } catch (error) {
      callback({ code: status.UNKNOWN, details: reasonOf(error) });
    }
  };
}

/** Serves on a free port of 127.0.0.1. What `services` leaves out is answered with UNIMPLEMENTED. */
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

/** The message of anything that was thrown. A gRPC error's own message is preceded by its code; its details are not. */
export function reasonOf(error: unknown): string {
  if (error instanceof Error) return "details" in error && error.details ? String(error.details) : error.message;
  return String(error);
}
