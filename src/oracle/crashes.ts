// When the file system was crashed: what was under way then may have been done, or not, or by half.
export class Crashes {
  private readonly spans: { readonly from: number; to: number }[] = []

  /** The crash begins: it is about to be killed. Call what is returned once it is known to be dead. */
  begin(): () => void {
    const span = { from: performance.now(), to: Number.POSITIVE_INFINITY }
    this.spans.push(span)
    return () => {
      span.to = performance.now()
    }
  }

  /** True once there was one. */
  get any(): boolean {
    return this.spans.length > 0
  }

  /** True if what took this time, by performance.now(), was under way at a crash. */
  hit(from: number, to: number): boolean {
    return this.spans.some((span) => span.from <= to && span.to >= from)
  }
}
