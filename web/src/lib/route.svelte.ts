// Which page is shown: the part of the address after `#/`.

const parts = (): string[] => location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);

class Route {
  parts = $state.raw<string[]>(parts());

  get page(): string {
    return this.parts[0] || "stage";
  }

  get rest(): string[] {
    return this.parts.slice(1);
  }

  go(...to: string[]): void {
    location.hash = `#/${to.map(encodeURIComponent).join("/")}`;
  }

  look = (): void => {
    this.parts = parts();
  };
}

export const route = new Route();
