/** Thrown when a port is in use. The message names the port and its server. */
export class PortInUseError extends Error {
  override readonly name = "PortInUseError";
  constructor(port: number, server: string) {
    super(`Port ${port} (${server}) is in use. Stop the process that listens there`);
  }
}
