import type { Scan } from './scan.js'

/** From the best to the worst; `T`: not trusted, `M`: the certificate is of another name. */
export const grades = ['A+', 'A', 'A-', 'B', 'C', 'D', 'E', 'F', 'M', 'T'] as const
export type Grade = typeof grades[number]

export type Ruleset = 'ssllabs-2009r' | 'testssl'

/** Why a grade is not better. */
export interface Reason {
  /** `cap`: the grade is at most `grade`; `warning`: at most A-; `note`: no A+. */
  readonly effect: 'cap' | 'warning' | 'note'
  readonly grade: Grade
  readonly code: string
  readonly message: string
}

export interface Scores {
  readonly protocol: number
  readonly keyExchange: number
  readonly cipher: number
  /** 30 %, 30 % and 40 % of these; 0 where one of them is. */
  readonly total: number
}

export interface Rating {
  readonly ruleset: Ruleset
  readonly grade: Grade
  /** What it would be if the certificate were trusted and of the right name. */
  readonly gradeIfTrusted: Grade
  readonly scores: Scores
  readonly reasons: readonly Reason[]
}

/** Something that a server may have, and what it costs. */
export interface Rule {
  readonly effect: Reason['effect']
  readonly grade: Grade
  readonly code: string
  /** The message where the rule applies. */
  applies (scan: Scan): string | false | undefined
}

export interface Rules {
  readonly ruleset: Ruleset
  scores (scan: Scan): Omit<Scores, 'total'>
  /** Whether the scores of a server that is not trusted are shown as 0. */
  readonly zeroesUntrusted: boolean
  readonly rules: readonly Rule[]
}

/** The lowest total of each grade. */
const thresholds: ReadonlyArray<readonly [total: number, grade: Grade]> = [[80, 'A'], [65, 'B'], [50, 'C'], [35, 'D'], [20, 'E'], [0, 'F']]

/** @returns whether a grade is as good as another, or better */
export function isAtLeast (grade: Grade, wanted: Grade): boolean {
  return grades.indexOf(grade) <= grades.indexOf(wanted)
}

export function rate (scan: Scan, { ruleset, scores, zeroesUntrusted, rules }: Rules): Rating {
  const parts = scores(scan)
  const reasons = rules.flatMap(({ effect, grade, code, applies }) => {
    const message = applies(scan)
    return typeof message === 'string' ? [{ effect, grade, code, message }] : []
  })
  const total = totalOf(parts)
  const gradeOf = (counted: readonly Reason[]): Grade => {
    const byScore = thresholds.find(([lowest]) => total >= lowest)?.[1] ?? 'F'
    const start = byScore === 'A' ? 'A+' : byScore
    return counted.map(({ grade }) => grade).reduce((worst, grade) => isAtLeast(worst, grade) ? grade : worst, start)
  }
  const grade = gradeOf(reasons)
  const isUntrusted = grade === 'T' || grade === 'M'
  return {
    ruleset,
    grade,
    gradeIfTrusted: gradeOf(reasons.filter(reason => reason.grade !== 'T' && reason.grade !== 'M')),
    scores: isUntrusted && zeroesUntrusted ? { protocol: 0, keyExchange: 0, cipher: 0, total: 0 } : { ...parts, total },
    reasons,
  }
}

function totalOf ({ protocol, keyExchange, cipher }: Omit<Scores, 'total'>): number {
  if (protocol === 0 || keyExchange === 0 || cipher === 0) return 0
  return Math.floor(protocol * 0.3) + Math.floor(keyExchange * 0.3) + Math.floor(cipher * 0.4)
}

/** The score of the first limit that a size is below. */
export function scoreBelow (size: number, steps: ReadonlyArray<readonly [below: number, score: number]>): number {
  return steps.find(([below]) => size < below)?.[1] ?? 100
}
