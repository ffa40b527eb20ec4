import type { Listening } from "../../support/http";
import { PortInUseError } from "../../support/portInUse";

/** Number of ports in a range: the first port and the ports directly after it. */
const PORT_COUNT = 100;

/** Settings of the listeners of one service. */
export interface ListenersOptions {
  /** Plural name of the resources for the error when every port is in use: `HTTP APIs`. */
  plural: string;
  /** First port of the range. "free" uses any free ports. */
  ports: number | "free";
  /** Starts the listener of a resource. Port 0 is any free port. */
  listen: (id: string, port: number) => Promise<Listening>;
}

/** One listener per resource, by the resource's id. A resource keeps its port after a restart. */
export class Listeners {
  private readonly open = new Map<string, Listening>();

  constructor(private readonly options: ListenersOptions) {}

  /**
   * Starts the listener of a new resource on the first port that is free.
   *
   * @throws PortInUseError when every port of the range is in use
   */
  async add(id: string): Promise<Listening> {
    const { ports, plural } = this.options;
    if (ports === "free") return this.listen(id, 0);
    const used = new Set([...this.open.values()].map(({ port }) => port));
    for (let port = ports; port < ports + PORT_COUNT; port++) {
      if (used.has(port)) continue;
      try {
        return await this.listen(id, port);
      } catch (error) {
        if (!(error instanceof PortInUseError)) throw error;
      }
    }
    throw new PortInUseError(ports, `${plural}; the next ${PORT_COUNT - 1} ports are in use too`);
  }

  /**
   * Starts the listener of a resource on its earlier port. With `ports: "free"`, the resource moves to another port
   * when its port is in use. With a range, the resource moves when its port lies outside the range.
   *
   * @param url the URL before the restart
   * @throws PortInUseError when the port is in use and `ports` is not "free"
   */
  async restore(id: string, url: string): Promise<Listening> {
    const port = Number(new URL(url).port);
    if (!this.isInRange(port)) return this.add(id);
    try {
      return await this.listen(id, port);
    } catch (error) {
      if (!(error instanceof PortInUseError) || this.options.ports !== "free") throw error;
      return this.listen(id, 0);
    }
  }

  /** Stops the listener of a resource if it exists. */
  async remove(id: string): Promise<void> {
    await this.open.get(id)?.close();
    this.open.delete(id);
  }

  /** Stops all listeners. */
  async close(): Promise<void> {
    await Promise.all([...this.open.values()].map((listener) => listener.close()));
    this.open.clear();
  }

  private isInRange(port: number): boolean {
    const { ports } = this.options;
    return ports === "free" || (port >= ports && port < ports + PORT_COUNT);
  }

  private async listen(id: string, port: number): Promise<Listening> {
    const listening = await this.options.listen(id, port);
    this.open.set(id, listening);
    return listening;
  }
}
