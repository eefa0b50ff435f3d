-- The cells of the factors without dates, once for all maps with the same pixels.
{{ config(materialized='by_period', enabled=needs('drivers')) }}
{{ cells_of_pixels('static') }}
