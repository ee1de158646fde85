/** What of WebAssembly the parser's wrapper touches: neither Node's types nor the language's libraries declare it. */
declare namespace WebAssembly {
  interface Module {
    readonly [Symbol.toStringTag]: "WebAssembly.Module";
  }
  interface Instance {
    readonly exports: object;
  }
  type Imports = object;
  const Module: new (bytes: Uint8Array) => Module;
  const Instance: new (module: Module, imports: Imports) => Instance;
}

/** The factory of libpg-query's WebAssembly module, which the package ships without types. */
declare module "libpg-query/wasm/libpg-query.js" {
  export interface ParserModule {
    readonly HEAPU8: Uint8Array;
    lengthBytesUTF8(text: string): number;
    stringToUTF8(text: string, address: number, bytesMax: number): void;
    UTF8ToString(address: number): string;
    getValue(address: number, type: "i32"): number;
    _malloc(bytes: number): number;
    _free(address: number): void;
    _wasm_parse_query_raw(text: number): number;
    _wasm_free_parse_result(result: number): void;
  }

  export interface ParserModuleOptions {
    /** Instead of the module's own reading of its file: calls `receive` with an instance made of the imports. */
    readonly instantiateWasm: (
      imports: WebAssembly.Imports,
      receive: (instance: WebAssembly.Instance) => void,
    ) => void;
    readonly printErr: (line: string) => void;
  }

  export default function createParser(options: ParserModuleOptions): Promise<ParserModule>;
}
