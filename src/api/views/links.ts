// Links of native resources (contract 1.8): built from the address that the client used, or the configured public one.

/** Where the links of one answer point to. */
export type LinkBase = {
  /** `https://vbs.example.net`, without a slash at the end. */
  readonly origin: string;
  readonly version: 'v2' | 'v3';
  /** Project segment of the called path; undefined on project-less paths, and then links have none either. */
  readonly project: string | undefined;
};

export type Link = { rel: string; href: string };

export function resourceLinks(base: LinkBase, collection: string, id: string): Link[] {
  const project = base.project === undefined ? '' : `/${base.project}`;
  const tail = `${project}/${collection}/${id}`;
  return [
    { rel: 'self', href: `${base.origin}/${base.version}${tail}` },
    { rel: 'bookmark', href: `${base.origin}${tail}` },
  ];
}

/** The request's own query with `marker` and `limit`, without `offset`: a repeated offset would skip rows. */
export function nextLink(target: { origin: string; path: string; query: string; limit: number; lastId: string }): Link {
  const query = new URLSearchParams(target.query);
  query.delete('offset');
  query.set('limit', String(target.limit));
  query.set('marker', target.lastId);
  return { rel: 'next', href: `${target.origin}${target.path}?${query.toString()}` };
}
