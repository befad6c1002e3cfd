// What a search by tags asks for (contract 3.17): four lists of keys and values, and a part of the name, all of which
// must hold. The same for policies and backups.

/** A key with any of the values; no values: with any value. */
export type TagMatch = { readonly key: string; readonly values: readonly string[] };

/** Absent members ask for nothing. */
export type TagSearch = {
  /** Every one of them matches. */
  readonly tags?: readonly TagMatch[];
  /** At least one matches. */
  readonly tagsAny?: readonly TagMatch[];
  /** Not all of them match. */
  readonly notTags?: readonly TagMatch[];
  /** None of them matches. */
  readonly notTagsAny?: readonly TagMatch[];
  /** Substring of the name, in any case (`matches` with key `resource_name`). */
  readonly nameLike?: string;
};

/** A key and all values that it has in a project, in order. */
export type TagValues = { readonly key: string; readonly values: readonly string[] };

/** Batch change of one resource's tags (contract 3.16): all or nothing. */
export type TagChange =
  /** Inserts, or replaces the value of a key that exists. */
  | { readonly action: 'create' | 'update'; readonly tags: readonly { readonly key: string; readonly value: string }[] }
  /** Removes keys, with a value only when it is this one; what is absent is skipped. */
  | { readonly action: 'delete'; readonly tags: readonly { readonly key: string; readonly value?: string }[] };
