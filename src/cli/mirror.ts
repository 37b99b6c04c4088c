export async function mirror(argv: readonly string[]): Promise<number> {
  void argv
  throw new Error('not yet')
}
