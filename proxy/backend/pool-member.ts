/** A connection as its pool keeps it. */
import type { BackendConnection } from "./backend-connection.ts";

export type MemberUse = "idle" | "lent" | "checking" | "abandoned";

export interface Member {
  readonly connection: BackendConnection;
  readonly openedAtMs: number;
  /** 0 where it was never lent. */
  lentSince: number;
  /** What its server had answered then, and how long that had taken. */
  answersBefore: number;
  busyMsBefore: number;
  readonly expiresAt: number;
  /** The pool's at the time of opening. An older one is not lent again. */
  readonly generation: number;
  use: MemberUse;
  isPinned: boolean;
  idleSince: number;
}

/** How well an idle connection suits who asks for one: 2 is as well as any. */
export type Rank = (connection: BackendConnection) => 0 | 1 | 2;

/** Lifetimes differ by this share, so that connections opened together do not end together. */
const LIFETIME_JITTER = 0.1;

export function newMember(
  connection: BackendConnection,
  generation: number,
  lifetimeMs: number,
): Member {
  const jitter = 1 - LIFETIME_JITTER * Math.random();
  return {
    connection,
    openedAtMs: Date.now(),
    lentSince: 0,
    answersBefore: 0,
    busyMsBefore: 0,
    expiresAt: performance.now() + lifetimeMs * jitter,
    generation,
    use: "checking",
    isPinned: false,
    idleSince: 0,
  };
}

/** Puts the one that suits best last, where the next is taken from; of equals, the last stays. */
export function bringForward(idle: Member[], rank: Rank): void {
  let best = idle.length - 1;
  let bestRank = -1;
  for (let index = idle.length - 1; index >= 0 && bestRank < 2; index -= 1) {
    const member = idle[index];
    const rankOfThis = member === undefined ? 0 : rank(member.connection);
    if (rankOfThis > bestRank) [best, bestRank] = [index, rankOfThis];
  }
  if (best < idle.length - 1) idle.push(...idle.splice(best, 1));
}

/** `measuresAnswers`: what its answers take will be asked for. */
export function noteLending(member: Member, now: number, measuresAnswers: boolean): void {
  member.lentSince = now;
  if (!measuresAnswers) return;
  const { requests, busyMs } = member.connection.counts;
  member.answersBefore = requests;
  member.busyMsBefore = busyMs;
}

/** What an answer has taken since the connection was lent; 0 where there was none. */
export function meanAnswerMs({ connection, answersBefore, busyMsBefore }: Member): number {
  const { requests, busyMs } = connection.counts;
  const answers = requests - answersBefore;
  return answers === 0 ? 0 : (busyMs - busyMsBefore) / answers;
}
