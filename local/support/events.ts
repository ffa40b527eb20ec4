/**
 * An event of the local cloud, for the list on the page. It never contains a secret, a token or the text of a message.
 */
export interface CloudEvent {
  /** Milliseconds since the epoch. */
  at: number;
  /** The service that emitted the event. */
  source:
    | "aws"
    | "cognito"
    | "http-api"
    | "lambda"
    | "scheduler"
    | "dynamodb"
    | "sqs"
    | "sns"
    | "cloudwatch"
    | "ssm"
    | "ecr"
    | "stripe"
    | "runpod"
    | "worker"
    | "engine";
  /** One short line, such as `POST /auth/session → 200`. */
  summary: string;
  durationMs?: number;
}

type Listener = (event: CloudEvent) => void;

/** The event stream of all doubles. */
export class Events {
  private readonly recent: CloudEvent[] = [];
  private readonly listeners = new Set<Listener>();

  /** Records an event with the current time and passes it to every listener. */
  emit(event: Omit<CloudEvent, "at">): void {
    const stamped = { at: Date.now(), ...event };
    this.recent.push(stamped);
    if (this.recent.length > 200) this.recent.shift();
    for (const listener of this.listeners) listener(stamped);
  }

  /** Calls `listener` with the newest 200 events, then with every new event. Returns a function that unsubscribes. */
  subscribe(listener: Listener): () => void {
    for (const event of this.recent) listener(event);
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
