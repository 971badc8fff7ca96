"""Lists the functions that a query may call: what only computes; others may read files, write, or wait for ever."""

from collections.abc import Mapping
from typing import Final


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BOTH: Final = _words(
    """
    abs avg cast ceil ceiling coalesce concat concat_ws count exp floor greatest length least ln log log10 log2 lower
    ltrim max min mod nullif pi power pow replace round rtrim sign sqrt substr substring sum trim trunc upper
    acos asin atan atan2 cos cot degrees radians sin tan sinh cosh tanh asinh acosh atanh octet_length unicode
    row_number rank dense_rank percent_rank cume_dist ntile lag lead first_value last_value nth_value
    """
)
_SQLITE: Final = _words(
    """
    changes char date datetime format glob group_concat hex ifnull iif instr json json_array json_array_length
    json_each json_extract json_group_array json_group_object json_object json_patch json_quote json_tree json_type
    json_valid julianday last_insert_rowid like likelihood likely max min printf quote random soundex string_agg
    strftime time timediff total typeof unhex unixepoch unlikely
    """
)
_POSTGRES: Final = _words(
    """
    age array_agg array_append array_cat array_dims array_length array_lower array_ndims array_position
    array_positions array_prepend array_remove array_replace array_to_json array_to_string array_upper ascii
    bit_and bit_length bit_or bool_and bool_or btrim cardinality cbrt char_length character_length chr clock_timestamp
    corr covar_pop covar_samp current_date current_time current_timestamp date_bin date_part date_trunc decode div
    encode every extract format initcap isfinite json_agg json_array_elements json_array_elements_text
    json_array_length json_build_array json_build_object json_each json_each_text json_extract_path
    json_extract_path_text json_object_agg json_object_keys json_strip_nulls json_typeof jsonb_agg
    jsonb_array_elements jsonb_array_elements_text jsonb_array_length jsonb_build_array jsonb_build_object jsonb_each
    jsonb_each_text jsonb_extract_path jsonb_extract_path_text jsonb_object_agg jsonb_object_keys jsonb_path_exists
    jsonb_path_match jsonb_path_query jsonb_path_query_array jsonb_path_query_first jsonb_strip_nulls jsonb_typeof
    justify_days justify_hours justify_interval left localtime localtimestamp lower_inf lpad make_date
    make_interval make_time make_timestamp make_timestamptz md5 mode now num_nonnulls num_nulls overlay
    percentile_cont percentile_disc phraseto_tsquery plainto_tsquery position quote_ident quote_literal random
    regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace regexp_split_to_array
    regexp_split_to_table regexp_substr regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope reverse right
    row_to_json rpad scale setweight split_part starts_with statement_timestamp stddev stddev_pop stddev_samp
    string_agg string_to_array string_to_table strpos to_char to_date to_json to_jsonb to_number to_timestamp
    to_tsquery to_tsvector translate ts_headline ts_rank ts_rank_cd unnest upper_inf var_pop var_samp variance
    websearch_to_tsquery width_bucket
    """
)

FUNCTIONS: Final[Mapping[str, frozenset[str]]] = {"sqlite": _BOTH | _SQLITE, "postgres": _BOTH | _POSTGRES}
"""The functions by sqlglot's name of the dialect, in small letters."""
