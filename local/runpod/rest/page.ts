/** One page of a list. The cursor is the number of entries before the page. */
export function pageOf<T>(key: string, all: T[], query: URLSearchParams, defaultSize: number) {
  const start = Number(query.get("cursor") ?? 0);
  const end = start + Number(query.get("limit") ?? defaultSize);
  const hasNextPage = end < all.length;
  return { [key]: all.slice(start, end), pagination: { hasNextPage, nextCursor: hasNextPage ? String(end) : null } };
}
