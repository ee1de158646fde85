/**
 * Where a text that the planner made of a client's came from, so that what is said of a
 * place in it can be said of a place in the client's. Offsets are UTF-16 units.
 */

export interface TextOrigin {
  /** The client's. */
  readonly text: string;
  /** In order of `at`, the first at 0. */
  readonly pieces: readonly OriginPiece[];
}

export interface OriginPiece {
  /** Where the piece begins in the made text. */
  readonly at: number;
  /** Where it begins in the client's text, or what it stands for there. */
  readonly from: number;
  /** Copied character by character; otherwise all of it stands for the one place. */
  readonly isCopied: boolean;
}

export interface TextEdit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The text with parts of it replaced. The edits do not overlap. */
export function editText(
  text: string,
  edits: readonly TextEdit[],
): { readonly text: string; readonly origin: TextOrigin } {
  const pieces: OriginPiece[] = [];
  let made = "";
  let read = 0;
  for (const edit of edits.toSorted((left, right) => left.start - right.start)) {
    pieces.push({ at: made.length, from: read, isCopied: true });
    made += text.slice(read, edit.start);
    pieces.push({ at: made.length, from: edit.start, isCopied: false });
    made += edit.text;
    read = edit.end;
  }
  pieces.push({ at: made.length, from: read, isCopied: true });
  return { text: made + text.slice(read), origin: { text, pieces } };
}

export function originalOffset({ pieces }: TextOrigin, offset: number): number {
  const piece = pieces.findLast(({ at }) => at <= offset);
  if (piece === undefined) return 0;
  return piece.isCopied ? piece.from + offset - piece.at : piece.from;
}

/** Of a text made of one that was itself made of the client's. */
export function composedOrigin(made: TextOrigin, before: TextOrigin | undefined): TextOrigin {
  if (before === undefined) return made;
  const pieces = made.pieces.flatMap((piece, index): readonly OriginPiece[] => {
    if (!piece.isCopied) return [{ ...piece, from: originalOffset(before, piece.from) }];
    const end = piece.from + (made.pieces[index + 1]?.at ?? Number.POSITIVE_INFINITY) - piece.at;
    const first = before.pieces.findLastIndex(({ at }) => at <= piece.from);
    return before.pieces
      .slice(Math.max(0, first))
      .filter(({ at }) => at < end)
      .map(({ at, from, isCopied }) => {
        const skipped = Math.max(0, piece.from - at);
        return {
          at: piece.at + Math.max(0, at - piece.from),
          from: isCopied ? from + skipped : from,
          isCopied,
        };
      });
  });
  return { text: before.text, pieces };
}
