/** The key of a route. */
export interface RouteKey {
  /** `$default`, or `<METHOD> <path template>`. */
  routeKey: string;
}

/** A route that matched, and the values of its path parameters. */
export interface RouteMatch<T extends RouteKey> {
  route: T;
  pathParameters: Record<string, string>;
}

/**
 * Selects the route for a request as API Gateway does. A literal segment has priority over `{parameter}`, and both have
 * priority over a greedy `{parameter+}`. A specific method has priority over ANY. `$default` matches when no other
 * route does.
 */
export function matchRoute<T extends RouteKey>(routes: T[], method: string, path: string): RouteMatch<T> | undefined {
  const candidates = routes.flatMap((route) => {
    if (route.routeKey === "$default") return [{ route, pathParameters: {}, rank: [0] }];
    const [routeMethod = "", template = ""] = route.routeKey.split(" ", 2);
    if (routeMethod !== "ANY" && routeMethod !== method) return [];
    const matched = matchPath(segments(template), segments(path));
    if (matched === undefined) return [];
    return [{ route, pathParameters: matched.parameters, rank: [1, ...matched.rank, routeMethod === "ANY" ? 0 : 1] }];
  });
  return candidates.sort((a, b) => compare(b.rank, a.rank))[0];
}

interface PathMatch {
  parameters: Record<string, string>;
  /** Specificity of each path segment: 3 for a literal, 2 for a parameter, 1 for a greedy parameter. */
  rank: number[];
}

function matchPath(template: string[], path: string[]): PathMatch | undefined {
  const parameters: Record<string, string> = {};
  const rank: number[] = [];
  for (const [index, part] of template.entries()) {
    const greedy = /^\{(.+)\+\}$/.exec(part)?.[1];
    if (greedy !== undefined) {
      if (index >= path.length) return undefined;
      return { parameters: { ...parameters, [greedy]: path.slice(index).join("/") }, rank: [...rank, 1] };
    }
    const value = path[index];
    if (value === undefined) return undefined;
    const name = /^\{(.+)\}$/.exec(part)?.[1];
    if (name === undefined && part !== value) return undefined;
    if (name !== undefined) parameters[name] = decode(value);
    rank.push(name === undefined ? 3 : 2);
  }
  return template.length === path.length ? { parameters, rank } : undefined;
}

function segments(path: string): string[] {
  return path.split("/").slice(1);
}

function decode(value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    return value;
  }
}

function compare(a: number[], b: number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
