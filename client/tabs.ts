/**
 * Connects to the other tabs of the same site, and to other clients on the same page. Returns a function that sends a
 * message to them. Old browsers have no `BroadcastChannel`. There, messages reach nobody.
 */
export function connectTabs(name: string, onMessage: (message: unknown) => void): (message: unknown) => void {
  if (!globalThis.BroadcastChannel) return () => undefined;
  const channel = new BroadcastChannel(name);
  channel.onmessage = ({ data }: MessageEvent<unknown>) => onMessage(data);
  // In Node, an open channel would keep the process running.
  (channel as { unref?: () => void }).unref?.();
  return (message) => channel.postMessage(message);
}

/** Listeners of one kind of event. */
export interface Listeners<Event> {
  /** Adds a listener. Returns a function that removes it. A removed listener is never called again. */
  subscribe(listener: (event: Event) => void): () => void;
  /** Calls each listener in a separate microtask. An error of a listener does not affect the caller of `emit`. */
  emit(event: Event): void;
}

/** Creates an empty list of listeners. */
export function createListeners<Event>(): Listeners<Event> {
  const listeners = new Set<(event: Event) => void>();
  return {
    subscribe(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    emit(event) {
      for (const listener of listeners) queueMicrotask(() => listeners.has(listener) && listener(event));
    },
  };
}
