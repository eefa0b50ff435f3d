-- The cells of the factors that are series, in the period of each map.
{{ config(materialized='by_period', enabled=needs('drivers')) }}
{{ cells_of_pixels('series') }}
