/** Connection to the other tabs of the same site, and to other clients on the same page. */
export interface Tabs {
  /** Sends a message to all others. */
  tell(message: unknown): void;
}

/** Connects to the other tabs. Without `BroadcastChannel`, such as in old browsers, messages reach nobody. */
export function connectTabs(name: string, onMessage: (message: unknown) => void): Tabs {
  if (typeof BroadcastChannel === "undefined") return { tell: () => undefined };
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }: MessageEvent<unknown>) => onMessage(data);
  // In Node, an open channel would keep the process running.
  (channel as { unref?: () => void }).unref?.();
  return { tell: (message) => channel.postMessage(message) };
}

/** Listeners of one kind of event. */
export interface Listeners<Event> {
  /** Adds a listener. Returns a function that removes it. */
  subscribe(listener: (event: Event) => void): () => void;
  emit(event: Event): void;
}

/** Creates an empty list of listeners. */
export function createListeners<Event>(): Listeners<Event> {
  const listeners = new Set<{ listener: (event: Event) => void }>();
  return {
    subscribe(listener) {
      // The same function can be subscribed twice. Each subscription ends by itself.
      const entry = { listener };
      listeners.add(entry);
      return () => void listeners.delete(entry);
    },
    emit(event) {
      for (const { listener } of [...listeners]) {
        try {
          listener(event);
        } catch (error) {
          // A listener's error must not fail the call that has caused the event.
          queueMicrotask(() => {
            throw error;
          });
        }
      }
    },
  };
}
