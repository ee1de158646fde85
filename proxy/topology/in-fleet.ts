/** What a proxy may ask of the fleet that it is in, and what stands for it where there is none. */
export interface InFleet {
  /** Rejects where it cannot be told that no newer map has been published. */
  readonly confirmMap: () => Promise<void>;
  /**
   * DDL is about to commit by this transaction of the catalog database, or has committed by none.
   * Resolves once no proxy takes its catalog for certain, and this one has the map in force, which
   * stays so up to `end`, which never rejects. Rejects where that cannot be had. Undefined where
   * there is nobody to be told.
   */
  readonly announceDdl: (
    transaction: string | undefined,
  ) => Promise<{ readonly id: string; end(): Promise<void> } | undefined>;
}

export const ALONE: InFleet = {
  confirmMap: async () => undefined,
  announceDdl: async () => undefined,
};
